#!/bin/bash
#SBATCH -b 13:00PM
srun ./program

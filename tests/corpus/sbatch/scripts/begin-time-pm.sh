#!/bin/bash
#SBATCH -b 04:00pm
srun ./program

#!/bin/bash
#SBATCH -J=name
srun ./program
